{{- define "rocketcluster.name" -}}
{{- if contains "rocketcluster" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-rocketcluster" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "rocketcluster.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "rocketcluster.name" .) }}
{{- end }}

{{- define "rocketcluster.image" -}}
{{- printf "%s:%s" (.Values.image.repository | default (printf "%s/rocket-operator" .Values.imagePrefix)) (.Values.image.tag | default .Chart.AppVersion) }}
{{- end }}

{{- define "rocketcluster.selector" -}}
app.kubernetes.io/name: rocket-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "rocketcluster.labels" -}}
{{ include "rocketcluster.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: rocketcluster
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* What the operator does in a namespace: its own kinds, and every kind that a cluster consists of. */}}
{{- define "rocketcluster.rules" -}}
- apiGroups: [rocketcluster.dev]
  resources: [rocketclusters, rockettopics, rocketconsumergroups]
  verbs: [get, list, watch, patch]
- apiGroups: [rocketcluster.dev]
  resources: [rocketclusters/status, rockettopics/status, rocketconsumergroups/status]
  verbs: [get, patch]
- apiGroups: [rocketcluster.dev]  # owner references that block deletion need it
  resources: [rocketclusters/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, configmaps, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [persistentvolumeclaims, pods]
  verbs: [get, list, watch, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [coordination.k8s.io]  # get, watch, update and patch are what brokers are granted in turn
  resources: [leases]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [monitoring.coreos.com]
  resources: [podmonitors, prometheusrules]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
