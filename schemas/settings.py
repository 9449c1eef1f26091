"""Every environment variable the product reads, in one place (documented in docs/reference/settings.md, and tested so).

Nothing else in the house touches ``os.environ``. Secrets are ``SecretStr`` so that no log or traceback prints them.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

LOCAL_MODEL = "local/minilm-l6"
"""The embedded model: what drafts where no key and no other model is set."""


class Settings(BaseSettings):
    """Read from the environment only; a ``.env`` file is never read behind the user's back. Empty means not set."""

    model_config = SettingsConfigDict(
        env_prefix="LABELCREW_", extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    # where things live
    data_dir: Path = Field(
        default=Path("~/.labelcrew"), description="Folder of the embedded database, uploads and caches."
    )
    database_url: SecretStr | None = Field(
        default=None,
        alias="DATABASE_URL",
        description="Your own Postgres 15-18 with pgvector; the embedded one when unset.",
    )
    supabase_url: str | None = Field(
        default=None,
        alias="SUPABASE_URL",
        description="Speak to the database through Supabase's RPC instead of directly.",
    )
    supabase_service_role_key: SecretStr | None = Field(
        default=None, alias="SUPABASE_SERVICE_ROLE_KEY", description="The service role's key for SUPABASE_URL."
    )
    supabase_jwt_secret: SecretStr | None = Field(
        default=None,
        alias="SUPABASE_JWT_SECRET",
        description="HS256 secret of the Supabase project; its JWKS is used when unset.",
    )
    upstash_redis_rest_url: str | None = Field(
        default=None,
        alias="UPSTASH_REDIS_REST_URL",
        description="Completion cache and rate limits in Upstash Redis; Postgres when unset.",
    )
    upstash_redis_rest_token: SecretStr | None = Field(
        default=None, alias="UPSTASH_REDIS_REST_TOKEN", description="Token for UPSTASH_REDIS_REST_URL."
    )

    # the language model
    openai_api_key: SecretStr | None = Field(
        default=None, alias="OPENAI_API_KEY", description="Switches the default model to gpt-4.1-mini."
    )
    openai_base_url: str | None = Field(
        default=None,
        alias="OPENAI_BASE_URL",
        description="Any OpenAI-compatible endpoint (Ollama, vLLM, OpenRouter, ...).",
    )
    model: str | None = Field(
        default=None, description="Default model; local/minilm-l6 without a key, gpt-4.1-mini with one."
    )
    llm_concurrency: int = Field(
        default=64, ge=1, le=1024, description="Calls to the model's server at once, in one process."
    )
    llm_timeout_s: float = Field(default=60.0, gt=0, description="Seconds before a call to the model is given up.")
    llm_max_retries: int = Field(
        default=6, ge=0, le=20, description="Tries after the first when the model's server fails."
    )
    prices: str | None = Field(
        default=None,
        description='USD per million tokens, as JSON: {"my-model": {"input": 0.1, "cached": 0.05, "output": 0.3}}.',
    )

    # webhooks and payouts
    webhook_networks: list[str] = Field(
        default_factory=list,
        description='Private networks that webhooks may reach, as JSON: ["10.1.0.0/16"]. Public ones always are.',
    )
    stripe_api_key: SecretStr | None = Field(
        default=None, alias="STRIPE_API_KEY", description="Key of the Stripe platform that pays annotators out."
    )
    stripe_url: str | None = Field(default=None, description="Another address of Stripe's API, for tests.")

    # the server
    host: str = Field(default="127.0.0.1", description="Address that the server listens on.")
    port: int = Field(default=8000, ge=0, le=65_535, description="Port that the server listens on.")
    public_url: str | None = Field(default=None, description="Address that users see, when it is behind a proxy.")
    cors_origins: list[str] = Field(
        default_factory=list,
        description='Origins that may call the API from a browser, as JSON: ["https://app.example.org"].',
    )
    jwt_secret: SecretStr | None = Field(
        default=None, description="Secret that signs local tokens; made and kept in the data folder when unset."
    )
    token_hours: float = Field(default=12.0, gt=0, description="Hours that a sign-in lasts.")
    max_upload_mb: int = Field(default=2048, ge=1, description="Largest upload in megabytes.")
    prelabel_per_minute: int = Field(
        default=60, ge=1, description="Interactive pre-labels a user may ask for in a minute."
    )
    hints_per_minute: int = Field(default=30, ge=1, description="Hints a user may ask for in a minute.")
    chats_per_minute: int = Field(
        default=20, ge=1, description="Questions to the assistant a user may ask in a minute."
    )
    workers: int = Field(
        default=1, ge=0, le=64, description="Worker processes that `labelcrew serve` starts beside itself."
    )
    db_pool_size: int = Field(default=10, ge=1, le=200, description="Database connections of one process.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="JSON lines, or colours for a terminal; auto looks at the terminal."
    )
    forbid_network: bool = Field(
        default=False,
        description="Refuse every call that would leave this machine; loopback stays allowed. Used by the tests.",
    )

    @property
    def data_path(self) -> Path:
        """The data folder with ``~`` expanded."""
        return self.data_dir.expanduser()

    @property
    def default_model(self) -> str:
        """The model that drafts when nobody names one."""
        if self.model:
            return self.model
        return "gpt-4.1-mini" if self.openai_api_key or self.openai_base_url else LOCAL_MODEL


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
