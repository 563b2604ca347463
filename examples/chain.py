"""A picture becomes a sharp video: both stages, with what the first makes handed over in memory.

python examples/chain.py photo.jpg sharp.mp4 "a red fox in snow"
"""

import sys

import modelscope_i2v

image, output, *text = sys.argv[1:]
result = modelscope_i2v.chain(image, text=' '.join(text), output_video=output)
seeds = f'stage1_seed={result["stage1"]["seed"]}, stage2_seed={result["seed"]}'
print(f'{result["output_video"]} (again with {seeds})')
