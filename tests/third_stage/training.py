import torch

from modelscope_i2v.media.reading.open import open_video
from modelscope_i2v.training.stages import StageTraining
from tests.third_stage.stage import TEXT_TO_VIDEO


class TextToVideoTraining(StageTraining):
    stage = TEXT_TO_VIDEO
    takes_fps = False

    @torch.no_grad()
    def condition(self, clip):
        return self.model.encode_text(clip.text)[0]

    @torch.no_grad()
    def unconditional(self):
        return self.model.encode_text('')[0]

    def generate(self, clip, **arguments):
        return self._decoded(self.model(clip.text, self.resolve(arguments))['latents'])

    def reference(self, clip):
        return {'source': open_video(clip.frames)}
