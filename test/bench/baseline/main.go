// The rival of the benchmark: packs layers as a plain Go server does, one after another, each with
// archive/tar, gzip level 6, and a sha256 of the bytes before and after compression.
//
//	baseline STORE OUT < groups.json
//
// STORE is the directory that holds the store objects. The groups are a list of layers, each a list
// of names in STORE. Layers are written to OUT as 0.tar.gz, 1.tar.gz, …; their descriptions go to
// standard output as JSON.
package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

type layer struct {
	Digest    string `json:"digest"`
	DiffID    string `json:"diffId"`
	SizeBytes int64  `json:"sizeBytes"`
}

type counter struct{ sizeBytes int64 }

func (c *counter) Write(bytes []byte) (int, error) {
	c.sizeBytes += int64(len(bytes))
	return len(bytes), nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 3 {
		return fmt.Errorf("usage: baseline STORE OUT < groups.json")
	}
	var groups [][]string
	if err := json.NewDecoder(os.Stdin).Decode(&groups); err != nil {
		return err
	}
	layers := make([]layer, 0, len(groups))
	for index, names := range groups {
		destination := filepath.Join(os.Args[2], fmt.Sprintf("%d.tar.gz", index))
		packed, err := pack(os.Args[1], names, destination)
		if err != nil {
			return err
		}
		layers = append(layers, packed)
	}
	return json.NewEncoder(os.Stdout).Encode(layers)
}

func pack(store string, names []string, destination string) (layer, error) {
	file, err := os.Create(destination)
	if err != nil {
		return layer{}, err
	}
	defer file.Close()
	buffered := bufio.NewWriterSize(file, 1<<20)
	digest, diffID, size := sha256.New(), sha256.New(), &counter{}
	compressed, err := gzip.NewWriterLevel(io.MultiWriter(buffered, digest, size), 6)
	if err != nil {
		return layer{}, err
	}
	archive := tar.NewWriter(io.MultiWriter(compressed, diffID))
	for _, name := range names {
		if err := addTree(archive, store, name); err != nil {
			return layer{}, err
		}
	}
	for _, closer := range []func() error{archive.Close, compressed.Close, buffered.Flush} {
		if err := closer(); err != nil {
			return layer{}, err
		}
	}
	return layer{
		Digest:    "sha256:" + hex.EncodeToString(digest.Sum(nil)),
		DiffID:    "sha256:" + hex.EncodeToString(diffID.Sum(nil)),
		SizeBytes: size.sizeBytes,
	}, nil
}

// addTree follows the order of filepath.WalkDir, which is that of the names.
func addTree(archive *tar.Writer, store string, name string) error {
	return filepath.WalkDir(filepath.Join(store, name), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		target := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if target, err = os.Readlink(path); err != nil {
				return err
			}
		}
		header, err := tar.FileInfoHeader(info, target)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(store, path)
		if err != nil {
			return err
		}
		header.Name = filepath.Join("nix/store", relative)
		header.Uid, header.Gid, header.Uname, header.Gname = 0, 0, "root", "root"
		header.ModTime = time.Unix(1, 0)
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		return addContent(archive, path)
	})
}

func addContent(archive *tar.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(archive, file)
	return err
}
