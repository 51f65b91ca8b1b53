"""The operating system's filesystem behind the protocol of `ottla.seams.filesystem`."""

from ottla.seams.real.filesystem import RealFileSystem

__all__ = ["RealFileSystem"]
