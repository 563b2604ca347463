"""What stage 1 is: its names, and where its parts are."""

from __future__ import annotations

from modelscope_i2v.stage import Stage, Verb

IMAGE_TO_VIDEO = Stage(
    task='image-to-video',
    model='image-to-video-model',
    preprocessor='image-to-video-preprocessor',
    pipeline='image-to-video-task-pipeline',
    trainer='image-to-video-trainer',
    default_hub_model='damo/Image-to-Video',
    package='modelscope_i2v.image_to_video',
    class_prefix='ImageToVideo',
    lora_key='image-to-video',
    followed_by='video-to-video',
    verb=Verb(
        summary='turn a picture into a video',
        description='Turn a picture into a video.',
        input_name='IMAGE',
        input_help='path or URL of the picture',
        opener='modelscope_i2v.media:load_image',
        example='photo.jpg -o video.mp4 --seed 8888',
    ),
)
