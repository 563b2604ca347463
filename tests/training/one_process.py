"""One process of several that train on CPUs: ``MODEL DATA OUTPUT CHANGES FSDP``, the last 0 for data parallel.

accelerate heeds a wish for FSDP only where it finds an accelerator. Here its state is changed after it was made; what
shards, gathers and trains is torch's and accelerate's own code, over gloo.
"""

import json
import sys

import accelerate
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

from modelscope_i2v.training.trainer import train
from tests.training.tiny import configuration


class Sharded(accelerate.Accelerator):
    """An Accelerator that shards weights as ``fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP`` asks it to."""

    def __init__(self, **options):
        super().__init__(**options)
        plugin = FullyShardedDataParallelPlugin(fsdp_version=VERSION, auto_wrap_policy='transformer_based_wrap')
        self.state.distributed_type, self.state.fsdp_plugin = DistributedType.FSDP, plugin


if __name__ == '__main__':
    *paths, changes, version = sys.argv[1:]
    VERSION = int(version)
    if VERSION:
        accelerate.Accelerator = Sharded
    train(configuration(*paths, **json.loads(changes)))
