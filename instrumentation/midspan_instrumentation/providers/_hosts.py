"""Which provider answers at a host: many services speak a protocol that is another one's, and are called by its SDK."""

from __future__ import annotations

_HOSTS = {
    # Names as in the GenAI conventions' list of well-known values.
    "api.anthropic.com": "anthropic",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral_ai",
    "api.moonshot.ai": "moonshot_ai",
    "api.moonshot.cn": "moonshot_ai",
    "api.openai.com": "openai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "amazonaws.com": "aws.bedrock",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "googleapis.com": "gcp.vertex_ai",
    "inference.ai.azure.com": "azure.ai.inference",
    "ml.cloud.ibm.com": "ibm.watsonx.ai",
    "models.ai.azure.com": "azure.ai.inference",
    "openai.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    # Services that the conventions have no name for.
    "api.cerebras.ai": "cerebras",
    "api.fireworks.ai": "fireworks_ai",
    "api.sambanova.ai": "sambanova",
    "api.together.ai": "together_ai",
    "api.together.xyz": "together_ai",
    "api.z.ai": "z_ai",
    "dashscope.aliyuncs.com": "alibaba_cloud",
    "dashscope-intl.aliyuncs.com": "alibaba_cloud",
    "huggingface.co": "hugging_face",
    "integrate.api.nvidia.com": "nvidia",
    "models.github.ai": "github",
    "openrouter.ai": "openrouter",
}
"""Host, or the end of it → `gen_ai.provider.name`."""


def provider_at(host: str | None) -> str | None:
    """The provider whose service is at this host, or None for one that is not known (a gateway, or the own machine)."""
    while host:
        provider = _HOSTS.get(host)
        if provider is not None:
            return provider
        host = host.partition(".")[2]
    return None
