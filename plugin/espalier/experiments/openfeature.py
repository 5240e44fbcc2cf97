"""OpenFeature (openfeature.dev): a flag platform of the site decides, whichever it is.

An experiment is a flag of the same name whose value is the name of a variant; "" is none.
The unit is the targeting key, and the attributes of the request are those of the evaluation
context. Needs the extra ``openfeature``, and the provider of the platform.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from espalier.errors import ConfigError
from espalier.experiments.model import Experiment, Participant

if TYPE_CHECKING:
    from openfeature.provider import FeatureProvider


class OpenFeatureAssigner:
    """Asks a provider of OpenFeature.

    A provider starts on its own; until it is ready it puts nobody into any variant.

    Args:
        provider: Which; ``None`` for the one that is registered as the default by whoever
            else runs in this process.
        domain: What it is registered as.

    Raises:
        ConfigError: The extra is not installed, or the provider is none or does not start.
    """

    def __init__(self, provider: FeatureProvider | None = None, domain: str = "espalier") -> None:
        try:
            from openfeature import api  # noqa: PLC0415 - an extra
            from openfeature.evaluation_context import EvaluationContext  # noqa: PLC0415 - an extra
        except ImportError:
            raise ConfigError(
                "the assigner openfeature needs openfeature-sdk; "
                "pip install 'espalier[openfeature]'"
            ) from None
        if provider is not None:
            try:
                # What is none has no such method, which would show with the first call.
                provider.resolve_string_details  # noqa: B018 - whether it has one
                api.set_provider(provider, domain)
            except Exception as error:
                raise ConfigError(
                    f"the OpenFeature provider {type(provider).__name__} cannot be used: "
                    f"{type(error).__name__}; see its documentation"
                ) from error
        self._client = api.get_client(domain)
        self._context: Any = EvaluationContext

    def assign(self, experiment: Experiment, who: Participant) -> str | None:
        """Return what the flag named as the experiment says, ``None`` for nothing.

        A flag that cannot be evaluated says nothing: OpenFeature then returns its default.
        """
        context = self._context(who.unit_of(experiment.unit), dict(who.attributes))
        return str(self._client.get_string_value(experiment.name, "", context)) or None
