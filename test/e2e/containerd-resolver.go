// Pulls an image with containerd's own code for registries, as it is configured by itself: resolves the
// tag, fetches the manifest and every blob, and prints the digest.
//
//	containerd-resolver REFERENCE
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func main() {
	digest, err := pull(context.Background(), os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(digest)
}

func pull(ctx context.Context, reference string) (string, error) {
	hosts := config.ConfigureHosts(ctx, config.HostOptions{DefaultScheme: "http"})
	resolver := docker.NewResolver(docker.ResolverOptions{Hosts: hosts})
	name, resolved, err := resolver.Resolve(ctx, reference)
	if err != nil {
		return "", err
	}
	fetcher, err := resolver.Fetcher(ctx, name)
	if err != nil {
		return "", err
	}
	bytes, err := read(ctx, fetcher, resolved)
	if err != nil {
		return "", err
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(bytes, &manifest); err != nil {
		return "", err
	}
	for _, blob := range append(manifest.Layers, manifest.Config) {
		if _, err := read(ctx, fetcher, blob); err != nil {
			return "", err
		}
	}
	return resolved.Digest.String(), nil
}

func read(ctx context.Context, from remotes.Fetcher, blob ocispec.Descriptor) ([]byte, error) {
	body, err := from.Fetch(ctx, blob)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}
