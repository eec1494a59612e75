package main

import (
	"context"
	"net/http"
	"strconv"
	"time"

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
			{"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": []string{"get", "list", "watch"}, "shortNames": []string{"po"}},
			{"name": "pods/portforward", "singularName": "", "namespaced": true, "kind": "PodPortForwardOptions", "verbs": []string{"create", "get"}},
		},
	})
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods/{pod}", func(w http.ResponseWriter, req *http.Request) {
		writeJSON(w, http.StatusOK, podObject(req.PathValue("namespace"), req.PathValue("pod")))
	})
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods", func(w http.ResponseWriter, req *http.Request) {
		if watch, _ := strconv.ParseBool(req.URL.Query().Get("watch")); watch {
			seeNothingChange(w, req)
			return
		}
		writeJSON(w, http.StatusOK, object{
			"kind": "PodList", "apiVersion": "v1", "metadata": object{"resourceVersion": "1"},
			"items": []object{podObject(req.PathValue("namespace"), "demo")},
		})
	})
}

func podObject(namespace, name string) object {
	return object{
		"kind": "Pod", "apiVersion": "v1",
		"metadata": object{"name": name, "namespace": namespace, "uid": "00000000-0000-4000-8000-000000000001", "resourceVersion": "1"},
		"spec": object{
			"nodeName": "node-1",
			"containers": []object{{
				"name": "main", "image": "demo",
				"ports": []object{{"name": "echo", "containerPort": 8080, "protocol": "TCP"}, {"name": "http", "containerPort": pod.HTTPPort, "protocol": "TCP"}},
			}},
		},
		"status": object{"phase": "Running", "podIP": "10.0.0.1", "conditions": []object{{"type": "Ready", "status": "True"}}},
	}
}

// seeNothingChange is a watch, for as long as the client wants it.
func seeNothingChange(w http.ResponseWriter, req *http.Request) {
	ctx := req.Context()
	if seconds, err := strconv.Atoi(req.URL.Query().Get("timeoutSeconds")); err == nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(seconds)*time.Second)
		defer cancel()
	}
	w.Header().Set("Content-Type", "application/json")
	_ = http.NewResponseController(w).Flush()
	<-ctx.Done()
}
