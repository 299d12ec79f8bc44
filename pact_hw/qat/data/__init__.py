"""Data sets as ``Images``: unsigned 8-bit levels and labels. Needs numpy; loaders import lazily."""

from .cifar10 import cifar10
from .digits import digits
from .images import Images, ImageSource
from .sets import DATA, load

__all__ = ["DATA", "ImageSource", "Images", "cifar10", "digits", "load"]
