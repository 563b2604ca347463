"""Both stages in a few lines: python examples/chain.py [STAGE1 STAGE2 [DEVICE1 DEVICE2]]

STAGE1 and STAGE2 are hub ids such as damo/Image-to-Video and damo/Video-to-Video, or folders; without them the embedded
models run, which need no download. Two devices ('cuda:0' 'cuda:1') keep both models loaded at once.
"""

import sys
from pathlib import Path

from modelscope.outputs import OutputKeys
from modelscope.pipelines import pipeline

import modelscope_i2v

models, devices = sys.argv[1:3], sys.argv[3:5] or [None, None]
if not models:
    models = [modelscope_i2v.embedded_model(task) for task in ('image-to-video', 'video-to-video')]
image = str(Path(__file__).with_name('cat.jpg'))

stage1 = pipeline(task='image-to-video', model=models[0], device=devices[0])
stage2 = pipeline(task='video-to-video', model=models[1], device=devices[1])
low = stage1(image, output_video='i2v.mp4')[OutputKeys.OUTPUT_VIDEO]
high = stage2({'video_path': low, 'text': 'a cat'}, output_video='v2v.mp4')[OutputKeys.OUTPUT_VIDEO]
print(low, high)
