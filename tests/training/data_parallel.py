"""One process of a data parallel training."""

import json
import sys

from modelscope_i2v.training.trainer import train
from tests.training.tiny import configuration

if __name__ == '__main__':
    *paths, changes, _ = sys.argv[1:]
    train(configuration(*paths, **json.loads(changes)))
