"""The core: buffers, sequencer, array and requantisers (``engine``), and its outside on AXI (``core``)."""
