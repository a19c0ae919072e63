"""Images and labels: find, verify, read, split. NumPy only."""

from .dataset import DATASETS as DATASETS
from .dataset import Dataset as Dataset
from .dataset import load_dataset as load_dataset
from .dataset import load_splits as load_splits
from .images import IMAGE_SHAPE as IMAGE_SHAPE
from .images import Images as Images
from .images import images_of as images_of
from .pictures import read_image as read_image
from .split import stratified_split as stratified_split
