"""Makes a release: wheel, sdist, Debian package, bills of materials, checksums, signatures (`scripts/release`)."""
