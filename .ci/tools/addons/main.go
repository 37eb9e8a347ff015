// Command addons replaces a cloud provider's add-ons on the local cluster, which has one node:
//
//	addons storage KUBECONFIG NODE FOLDER    provisions volumes, in a folder of the node
//	addons networkpolicies KUBECONFIG        enforces NetworkPolicies
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "addons:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	storage := len(arguments) == 4 && arguments[0] == "storage"
	if !storage && (len(arguments) != 2 || arguments[0] != "networkpolicies") {
		return errors.New("usage: addons storage KUBECONFIG NODE FOLDER, or addons networkpolicies KUBECONFIG")
	}
	config, err := clientcmd.BuildConfigFromFlags("", arguments[1])
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if storage {
		provision(ctx, client, arguments[2], arguments[3])
		return nil
	}
	return enforce(ctx, client)
}
