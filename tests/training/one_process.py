"""One of several processes that train on CPUs: ``MODEL DATA OUTPUT CHANGES FSDP``; FSDP is 0 for data parallel.

accelerate uses FSDP only if it finds an accelerator. So the script changes its state afterwards. Sharding, gathering
and training still use the code of torch and accelerate, over gloo.
"""

import json
import sys

import accelerate
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

from modelscope_i2v.training.trainer import train
from tests.training.tiny import configuration


class Sharded(accelerate.Accelerator):
    """An Accelerator that shards weights as with ``fsdp_auto_wrap_policy: TRANSFORMER_BASED_WRAP``."""

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
