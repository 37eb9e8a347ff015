package main

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// enforce enforces the cluster's NetworkPolicies with rules of nftables, until ctx is done.
//
// The node routes the traffic between pods, and between pods and this machine, so the rules
// apply there. Traffic from the node's own processes to its pods always passes, as the API
// guarantees for probes. Traffic from pods to the node is subject to their egress rules, because
// the cluster's DNS and API server are processes of the node here. Connections from before a
// policy stay open. The cluster has no IPv6.
func enforce(ctx context.Context, client kubernetes.Interface) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	namespaces := factory.Core().V1().Namespaces()
	pods := factory.Core().V1().Pods()
	policies := factory.Networking().V1().NetworkPolicies()
	// One pending update is enough, however many changes there are.
	changed := make(chan struct{}, 1)
	note := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	for _, informer := range []cache.SharedIndexInformer{namespaces.Informer(), pods.Informer(), policies.Informer()} {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { note() },
			UpdateFunc: func(any, any) { note() },
			DeleteFunc: func(any) { note() },
		})
		if err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("no list of %s: %w", kind, ctx.Err())
		}
	}
	current := ""
	for {
		var w world
		var err error
		w.namespaces, err = namespaces.Lister().List(labels.Everything())
		if err != nil {
			return err
		}
		w.pods, err = pods.Lister().List(labels.Everything())
		if err != nil {
			return err
		}
		w.policies, err = policies.Lister().List(labels.Everything())
		if err != nil {
			return err
		}
		rules, err := w.rules()
		if err != nil {
			return err
		}
		if rules != current {
			err = load(ctx, rules)
			if err != nil {
				return err // the caller restarts this program
			}
			current = rules
			slog.Info("rules loaded", "policies", len(w.policies), "lines", strings.Count(rules, "\n"))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		<-time.After(20 * time.Millisecond) // changes come in bursts
	}
}

// load replaces all rules atomically.
func load(ctx context.Context, rules string) error {
	command := exec.CommandContext(ctx, "nft", "--file", "-")
	command.Stdin = strings.NewReader(rules)
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("nft: %w\n%s\n%s", err, out, rules)
	}
	return nil
}
