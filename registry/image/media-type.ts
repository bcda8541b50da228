// The media types this registry writes and reads.

export const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
export const OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
export const OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
export const DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
export const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
export const DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/** What a blob is served as: its descriptor says what it is, and no cache may decode it. */
export const OCTET_STREAM = "application/octet-stream";

/** What names the manifests of one image for several platforms. */
export type IndexType = typeof OCI_INDEX | typeof DOCKER_MANIFEST_LIST;
/** What is served below /manifests/. */
export type ManifestType = typeof OCI_MANIFEST | typeof DOCKER_MANIFEST | IndexType;

export function isManifestType(text: string): text is ManifestType {
  return text === OCI_MANIFEST || text === DOCKER_MANIFEST || isIndexType(text);
}

export function isIndexType(text: string): text is IndexType {
  return text === OCI_INDEX || text === DOCKER_MANIFEST_LIST;
}
