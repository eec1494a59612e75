package main

import (
	"net/http"

	"portway.dev/interop/pod"
)

type object = map[string]any

// discovery is as much of an API server as kubectl asks for before it forwards: every pod of every
// namespace exists and runs.
func discovery(mux *http.ServeMux) {
	fixed := func(path string, body any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, http.StatusOK, body)
		})
	}
	fixed("/version", object{"major": "1", "minor": "36", "gitVersion": "v1.36.3"})
	fixed("/api", object{"kind": "APIVersions", "versions": []string{"v1"}})
	fixed("/apis", object{"kind": "APIGroupList", "apiVersion": "v1", "groups": []any{}})
	fixed("/api/v1", object{
		"kind": "APIResourceList", "groupVersion": "v1",
		"resources": []object{
			{"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": []string{"get", "list"}, "shortNames": []string{"po"}},
			{"name": "pods/portforward", "singularName": "", "namespaced": true, "kind": "PodPortForwardOptions", "verbs": []string{"create", "get"}},
		},
	})
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods/{pod}", func(w http.ResponseWriter, req *http.Request) {
		writeJSON(w, http.StatusOK, object{
			"kind": "Pod", "apiVersion": "v1",
			"metadata": object{"name": req.PathValue("pod"), "namespace": req.PathValue("namespace"), "uid": "00000000-0000-4000-8000-000000000001"},
			"spec": object{
				"nodeName": "node-1",
				"containers": []object{{
					"name": "main", "image": "demo",
					"ports": []object{{"name": "echo", "containerPort": 8080, "protocol": "TCP"}, {"name": "http", "containerPort": pod.HTTPPort, "protocol": "TCP"}},
				}},
			},
			"status": object{"phase": "Running", "podIP": "10.0.0.1", "conditions": []object{{"type": "Ready", "status": "True"}}},
		})
	})
}
