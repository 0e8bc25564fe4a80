"""Chat models: a batch of conversations in, texts out. It knows neither the harness nor what is
asked.
"""

from lm_eval_safescale.chat.endpoint import Endpoint
from lm_eval_safescale.chat.model import ChatModel, ChatRequest, Message, Reply

__all__ = ["ChatModel", "ChatRequest", "Endpoint", "Message", "Reply"]
