package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/argoproj/argo-cd/v3/applicationset/controllers/template"
	"github.com/argoproj/argo-cd/v3/applicationset/generators"
	"github.com/argoproj/argo-cd/v3/applicationset/utils"
	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// newPermitted returns a command of this project. It reads objects, prints the Applications among
// them and those that ApplicationSets with lists generate, and checks with the controllers' code
// whether each one's AppProject allows its sources and its destination:
//
//	kustomize build argocd | argocd permitted in-cluster prod
//
// The arguments are the names of the clusters that Argo CD knows.
func newPermitted() *cobra.Command {
	return &cobra.Command{Use: "permitted CLUSTER…", SilenceUsage: true, RunE: func(command *cobra.Command, clusters []string) error {
		logrus.SetOutput(io.Discard)
		text, err := io.ReadAll(command.InOrStdin())
		if err != nil {
			return err
		}
		projects, applications, err := readObjects(string(text))
		if err != nil {
			return err
		}
		known := map[string]*v1alpha1.Cluster{}
		for _, name := range clusters {
			known[name] = &v1alpha1.Cluster{Name: name, Server: "https://" + name}
		}
		var problems []error
		for _, application := range applications {
			problems = append(problems, permitted(application, projects, known)...)
			out, err := yaml.Marshal(application)
			if err != nil {
				return err
			}
			fmt.Fprintf(command.OutOrStdout(), "---\n%s", out)
		}
		return errors.Join(problems...)
	}}
}

// readObjects returns the AppProjects and the Applications in a stream of objects.
func readObjects(text string) (map[string]v1alpha1.AppProject, []v1alpha1.Application, error) {
	projects, applications := map[string]v1alpha1.AppProject{}, []v1alpha1.Application(nil)
	for _, document := range strings.Split("\n"+text, "\n---\n") {
		var kind struct{ Kind string }
		err := yaml.Unmarshal([]byte(document), &kind)
		if err != nil {
			return nil, nil, err
		}
		switch kind.Kind {
		case "AppProject":
			var project v1alpha1.AppProject
			err = yaml.UnmarshalStrict([]byte(document), &project)
			projects[project.Name] = project
		case "Application":
			var application v1alpha1.Application
			err = yaml.UnmarshalStrict([]byte(document), &application)
			applications = append(applications, application)
		case "ApplicationSet":
			var set v1alpha1.ApplicationSet
			err = yaml.UnmarshalStrict([]byte(document), &set)
			if err != nil {
				return nil, nil, err
			}
			var made []v1alpha1.Application
			made, _, err = template.GenerateApplications(logrus.NewEntry(logrus.StandardLogger()), set,
				map[string]generators.Generator{"List": generators.NewListGenerator()}, &utils.Render{}, nil)
			applications = append(applications, made...)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return projects, applications, nil
}

// permitted returns an error for each thing that an Application's AppProject doesn't allow.
func permitted(application v1alpha1.Application, projects map[string]v1alpha1.AppProject, clusters map[string]*v1alpha1.Cluster) []error {
	project, found := projects[application.Spec.Project]
	if !found {
		return []error{fmt.Errorf("%s: there is no project %s", application.Name, application.Spec.Project)}
	}
	var problems []error
	for _, source := range application.Spec.GetSources() {
		if !project.IsSourcePermitted(source) {
			problems = append(problems, fmt.Errorf("%s: %s is not permitted in project %s", application.Name, source.RepoURL, project.Name))
		}
	}
	destination := application.Spec.Destination
	cluster := clusters[destination.Name]
	if destination.Server == v1alpha1.KubernetesInternalAPIServerAddr {
		cluster = &v1alpha1.Cluster{Name: "in-cluster", Server: destination.Server}
	}
	if cluster == nil {
		return append(problems, fmt.Errorf("%s: there is no cluster %s%s", application.Name, destination.Name, destination.Server))
	}
	allowed, err := project.IsDestinationPermitted(cluster, destination.Namespace, nil)
	if err != nil {
		return append(problems, err)
	}
	if !allowed {
		problems = append(problems, fmt.Errorf("%s: namespace %s of cluster %s is not permitted in project %s", application.Name, destination.Namespace, cluster.Name, project.Name))
	}
	return problems
}
