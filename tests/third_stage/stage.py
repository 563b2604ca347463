from modelscope_i2v.stage import Stage, Verb

TEXT_TO_VIDEO = Stage(
    task='text-to-video',
    model='text-to-video-model',
    preprocessor='text-to-video-preprocessor',
    pipeline='text-to-video-pipeline',
    trainer='text-to-video-trainer',
    default_hub_model=None,
    package='tests.third_stage',
    class_prefix='TextToVideo',
    lora_key='text-to-video',
    verb=Verb(
        summary='turn a text into a video',
        description='Turn a text into a video.',
        input_name='TEXT',
        input_help='what the video shows',
        opener='builtins:str',
        example='"a red fox" -o video.mp4',
    ),
)
