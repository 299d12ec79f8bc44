"""What all tests share."""

import hypothesis

# A first call may load or compile much; whether a test is slow is pytest's matter.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")
