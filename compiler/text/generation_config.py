"""The checkpoint's generation_config.json, which goes into the bundle as it is."""

from pathlib import Path

from ossc.runtimes.model_sampling import GENERATION_CONFIG_NAME, parse_generation_config
from ossc.targets.errors import ConfigError


def check_generation_config(checkpoint: Path) -> None:
    """Refuse a file that ``ossc run --sampling model`` could not read.

    Raises:
        ConfigError: The file is there and is not valid.
    """
    path = checkpoint / GENERATION_CONFIG_NAME
    if not path.is_file():
        return
    try:
        parse_generation_config(path.read_bytes())
    except ValueError as error:
        raise ConfigError(f"{path} {error}; correct it, or leave it out.") from error
