"""What the second generation of image-to-video is: its names, and where its parts are."""

from __future__ import annotations

from modelscope_i2v.stage import Stage, Verb

I2VGEN_XL = Stage(
    task='image-to-video',
    model='i2vgen-xl-model',
    preprocessor='i2vgen-xl-preprocessor',
    pipeline='i2v_gen_xl',
    trainer='i2vgen-xl-trainer',
    default_hub_model=None,
    embedded='I2VGen-XL',
    package='modelscope_i2v.i2vgen_xl',
    class_prefix='I2VGenXL',
    lora_key='i2vgen-xl',
    followed_by='video-to-video',
    unet_file='i2vgen_xl_00854500.pth',
    verb=Verb(
        summary='turn a picture into a video',
        description='Turn a picture into a video that keeps it, guided by text.',
        input_name='IMAGE',
        input_help='path or URL of the picture',
        opener='modelscope_i2v.media:load_image',
        example='photo.jpg -o video.mp4 --model ~/models/I2VGen-XL --text "a red fox in snow"',
    ),
)
