"""What stage 2 is: its names, and where its parts are."""

from __future__ import annotations

from modelscope_i2v.stage import Stage, Verb

VIDEO_TO_VIDEO = Stage(
    task='video-to-video',
    model='video-to-video-model',
    preprocessor='video-to-video-preprocessor',
    pipeline='video-to-video-pipeline',
    trainer='video-to-video-trainer',
    default_hub_model='damo/Video-to-Video',
    embedded='Video-to-Video',
    package='modelscope_i2v.video_to_video',
    class_prefix='VideoToVideo',
    lora_key='video-to-video',
    verb=Verb(
        summary='make a video sharper',
        description='Make a video sharper and larger, guided by text. Its frame rate and sound stay the same.',
        input_name='VIDEO',
        input_help='path or URL of the video',
        opener='modelscope_i2v.media:open_video',
        takes_video=True,
        example='video.mp4 -o sharper.mp4 --text "a red fox in snow"',
    ),
)
