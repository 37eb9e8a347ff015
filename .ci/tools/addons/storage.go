package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

// provisioner is what a storage class calls it.
const provisioner = "microservices/local"

// provision makes volumes of the storage classes that ask for [provisioner], as
// folders of the node, until ctx ends.
func provision(ctx context.Context, client kubernetes.Interface, node, folder string) {
	controller.NewProvisionController(ctx, client, provisioner, &folders{node: node, folder: folder}, controller.LeaderElection(false)).Run(ctx)
}

// folders makes a folder for each volume.
type folders struct{ node, folder string }

// Provision makes a folder and describes it as a volume of the node.
func (f *folders) Provision(_ context.Context, options controller.ProvisionOptions) (*core.PersistentVolume, controller.ProvisioningState, error) {
	path := filepath.Join(f.folder, options.PVName)
	err := os.Mkdir(path, 0o770)
	if err != nil && !errors.Is(err, os.ErrExist) {
		return nil, controller.ProvisioningFinished, err
	}
	return &core.PersistentVolume{
		ObjectMeta: meta.ObjectMeta{Name: options.PVName},
		Spec: core.PersistentVolumeSpec{
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			AccessModes:                   options.PVC.Spec.AccessModes,
			Capacity:                      core.ResourceList{core.ResourceStorage: options.PVC.Spec.Resources.Requests[core.ResourceStorage]},
			// Of this kind rather than hostPath: the kubelet gives it to the pod's group.
			PersistentVolumeSource: core.PersistentVolumeSource{Local: &core.LocalVolumeSource{Path: path}},
			NodeAffinity: &core.VolumeNodeAffinity{Required: &core.NodeSelector{NodeSelectorTerms: []core.NodeSelectorTerm{{
				MatchExpressions: []core.NodeSelectorRequirement{{Key: core.LabelHostname, Operator: core.NodeSelectorOpIn, Values: []string{f.node}}},
			}}}},
		},
	}, controller.ProvisioningFinished, nil
}

// Delete removes a volume's folder with all that is in it.
func (f *folders) Delete(_ context.Context, volume *core.PersistentVolume) error {
	return os.RemoveAll(filepath.Join(f.folder, volume.Name))
}
