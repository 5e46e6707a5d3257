"""Models and data sets as local folders with digests, from the Hub, a mirror, a bundle or a package."""

from . import bundle, candidates, card, connection, download
from .https_file import https_data, is_address
from .packaged_data import packaged_data
from .sources import PACKAGED, PINNED, Source, resolve, resolve_model, sources_table, split_id
