import torch
from modelscope.models.builder import MODELS

from modelscope_i2v.diffusion.schedules import signal_scale
from modelscope_i2v.generation.model import GenerationModel
from modelscope_i2v.generation.prompt_tokens import build_tokenizer, prompt_tokens
from tests.third_stage.arguments import TextToVideoArguments
from tests.third_stage.sigmas import SCHEDULE, sigmas_of
from tests.third_stage.stage import TEXT_TO_VIDEO


@MODELS.register_module(TEXT_TO_VIDEO.task, module_name=TEXT_TO_VIDEO.model, force=True)
class TextToVideoModel(GenerationModel):
    stage = TEXT_TO_VIDEO
    schedule = SCHEDULE

    def encode_text(self, text):
        tokens = prompt_tokens(build_tokenizer(self.clip.context_length), text)
        return self.clip(tokens.to(self.device))

    @torch.no_grad()
    def forward(self, text, arguments=None, callback=None):
        arguments = arguments or TextToVideoArguments(**self.call_defaults())
        generator = arguments.generator()
        factor = self.configuration.autoencoder.downsampling_factor
        shape = (1, 4, arguments.num_frames, arguments.height // factor, arguments.width // factor)
        noise = torch.randn(shape, generator=generator).to(self.device)
        features, empty = self.encode_text(text), self.encode_text('')
        denoiser = self.denoiser((features,), (empty,), arguments)
        sigmas = sigmas_of(self.schedule, arguments)
        x = noise / signal_scale(sigmas[0]).float()
        x = arguments.sampler.run(denoiser, x, sigmas, arguments=arguments, generator=generator, callback=callback)
        return {'latents': x}
