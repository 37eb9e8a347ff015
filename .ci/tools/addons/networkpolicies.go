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

// enforce holds the cluster's NetworkPolicies, as rules of nftables, until ctx ends.
//
// What pods send to one another, and to and from this machine, is routed by the
// node and meets the rules there. What the node's own processes send to its pods
// always passes, as the API promises for probes; what pods send to the node is
// held to their egress rules, since the cluster's DNS and the API server are its
// processes here. Connections that were there before a policy stay. IPv6 is left
// out: the cluster has none.
func enforce(ctx context.Context, client kubernetes.Interface) error {
	factory := informers.NewSharedInformerFactory(client, 0)
	namespaces := factory.Core().V1().Namespaces()
	pods := factory.Core().V1().Pods()
	policies := factory.Networking().V1().NetworkPolicies()
	// One thing to do, however many the changes.
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
				return err // and is started again
			}
			current = rules
			slog.Info("rules loaded", "policies", len(w.policies), "lines", strings.Count(rules, "\n"))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
		<-time.After(20 * time.Millisecond) // changes come in crowds
	}
}

// load replaces the rules with others, all at once.
func load(ctx context.Context, rules string) error {
	command := exec.CommandContext(ctx, "nft", "--file", "-")
	command.Stdin = strings.NewReader(rules)
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("nft: %w\n%s\n%s", err, out, rules)
	}
	return nil
}
