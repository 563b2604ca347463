"""Errors of the engine, which speaks English, in the other languages of the page."""

from __future__ import annotations

from collections.abc import Mapping

from modelscope_i2v.serving.jobs import JobError

#: Language code -> code of an error -> what is said instead of its message, or in front of it.
ERRORS: Mapping[str, Mapping[str, str]] = {
    'zh': {
        'video_not_found': '这段视频已不存在：可能已被删除，或超过了保留时间。请重新生成，或另选一段。',
        'video_not_ready': '这段视频还没有生成，或者生成失败了。请另选一段。',
        'model_not_found': '这里没有这个模型。请另选一个。',
        'queue_full': '排队的任务已满，请稍后再试。',
        'too_large': '文件太大，请选择小一些的文件。具体原因（英文）：{message}',
        'unreadable_input': '无法读取这个文件，请换一张图片或一段视频。具体原因（英文）：{message}',
        'unknown_argument': '有一个参数无法识别。具体原因（英文）：{message}',
        'invalid_request': '有一项设置不能使用，请修改后再试。具体原因（英文）：{message}',
        'device_error': '这台设备无法生成这段视频，请减小尺寸或长度。具体原因（英文）：{message}',
        'storage_error': '服务器无法保存视频。请稍后再试，或告知管理员。具体原因（英文）：{message}',
        'model_error': '模型无法加载，原因见服务器日志。请换一个模型，或告知管理员。',
        'internal_error': '服务器出现意外错误，原因见服务器日志。其他任务不受影响。',
        'interrupted': '任务完成之前，服务器停止了。请重新提交。',
        'shutting_down': '服务器正在关闭，请稍后再试。',
        'cancelled': '任务已取消。',
    }
}


def explained(language: str, error: JobError) -> str:
    """What is wrong, in a language. A detail that names arguments stays English."""
    return ERRORS.get(language, {}).get(error.code, '{message}').format(message=error.message)
