"""A service that speaks OpenAI's protocol is named by its host."""

from __future__ import annotations

import pytest

from midspan_instrumentation.providers._hosts import provider_at
from midspan_instrumentation.providers.openai import PROVIDER
from tests.fakes.openai_calls import sync_client


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://mine.openai.azure.com/openai/v1", "azure.ai.openai"),
        ("https://mine.services.ai.azure.com/models", "azure.ai.inference"),
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.deepseek.com", "deepseek"),
        ("https://api.mistral.ai/v1", "mistral_ai"),
        ("https://api.perplexity.ai", "perplexity"),
        ("https://api.x.ai/v1", "x_ai"),
        ("https://eu-west-1.api.x.ai/v1", "x_ai"),
        ("https://api.moonshot.cn/v1", "moonshot_ai"),
        ("https://us-south.ml.cloud.ibm.com/ml/v1", "ibm.watsonx.ai"),
        ("https://generativelanguage.googleapis.com/v1beta/openai/", "gcp.gemini"),
        ("https://europe-west1-aiplatform.googleapis.com/v1/x", "gcp.vertex_ai"),
        ("https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1", "aws.bedrock"),
        ("https://api.together.xyz/v1", "together_ai"),
        ("https://api.fireworks.ai/inference/v1", "fireworks_ai"),
        ("https://openrouter.ai/api/v1", "openrouter"),
    ],
)
def test_a_known_service_has_its_own_name(url: str, provider: str) -> None:
    with sync_client(url) as client:
        assert PROVIDER.read_server(client.chat.completions).provider == provider


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "gateway.example", "fakeapi.x.ai.example", "", None])
def test_an_unknown_one_is_told_by_the_sdk(host: str | None) -> None:
    assert provider_at(host) is None
