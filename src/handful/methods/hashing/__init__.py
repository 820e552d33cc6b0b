"""Hashing: features to short binary codes; one short file a method, one way to use them all."""

from handful.methods.hashing.base import Codes, Hasher, pack, unpack
from handful.methods.hashing.binary_autoencoder import BinaryAutoencoder
from handful.methods.hashing.dbc import DBC
from handful.methods.hashing.fasthash import FastHash
from handful.methods.hashing.handful_bits import HandfulBits, HandfulVotes
from handful.methods.hashing.hyper_round import Settings
from handful.methods.hashing.hyper_training import hyper_train
from handful.methods.hashing.itq import CCAITQ, PCAITQ
from handful.methods.hashing.kmeans import KMeansHashing
from handful.methods.hashing.ksh import KSH
from handful.methods.hashing.library import HashLibrary
from handful.methods.hashing.lsh import LSH
from handful.methods.hashing.sdh import SDH
from handful.methods.hashing.spectral import SpectralHashing
from handful.methods.hashing.spherical import SphericalHashing
from handful.methods.hashing.ugh import UGH, Selection

__all__ = [
    "CCAITQ",
    "DBC",
    "KSH",
    "LSH",
    "PCAITQ",
    "SDH",
    "UGH",
    "BinaryAutoencoder",
    "Codes",
    "FastHash",
    "HandfulBits",
    "HandfulVotes",
    "HashLibrary",
    "Hasher",
    "KMeansHashing",
    "Selection",
    "Settings",
    "SpectralHashing",
    "SphericalHashing",
    "hyper_train",
    "pack",
    "unpack",
]
