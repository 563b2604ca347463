"""Stage 1 in a few lines: python examples/image_to_video.py [MODEL] [IMAGE] [OUT.mp4]

MODEL is a hub id such as damo/Image-to-Video or a folder; without it the embedded model runs, which needs no download.
"""

import sys
from pathlib import Path

from modelscope.outputs import OutputKeys
from modelscope.pipelines import pipeline

import modelscope_i2v

model = sys.argv[1] if len(sys.argv) > 1 else modelscope_i2v.embedded_model('image-to-video')
image = sys.argv[2] if len(sys.argv) > 2 else str(Path(__file__).with_name('cat.jpg'))
output_video = sys.argv[3] if len(sys.argv) > 3 else 'cat.mp4'

stage1 = pipeline(task='image-to-video', model=model)
result = stage1(image, output_video=output_video, seed=8888)
print(result[OutputKeys.OUTPUT_VIDEO], 'seed', result['seed'])
