// SPDX-License-Identifier: Apache-2.0

// The store of the API server: one member on Unix sockets that never syncs, because it lives as long as one test run.
package main

import (
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

func etcdCommand() *cobra.Command {
	var dir string
	command := &cobra.Command{
		Use:  "etcd",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return etcd(dir) },
	}
	command.Flags().StringVar(&dir, "dir", "", "where the data and the socket client.sock are")
	command.MarkFlagRequired("dir")
	return command
}

func etcd(dir string) error {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	server, err := embed.StartEtcd(etcdConfig(dir))
	if err != nil {
		return err
	}
	defer server.Close()
	select {
	case <-end:
		return nil
	case err := <-server.Err():
		return fmt.Errorf("etcd ended: %w", err)
	}
}

func etcdConfig(dir string) *embed.Config {
	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, "data")
	config.LogLevel = "warn"
	config.UnsafeNoFsync = true
	client, peer := socket(dir, "client.sock"), socket(dir, "peer.sock")
	config.ListenClientUrls, config.AdvertiseClientUrls = client, client
	config.ListenPeerUrls, config.AdvertisePeerUrls = peer, peer
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	return config
}

func socket(dir, name string) []url.URL {
	return []url.URL{{Scheme: "unix", Path: filepath.Join(dir, name)}}
}
