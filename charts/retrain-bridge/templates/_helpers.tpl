{{- define "retrain-bridge.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "retrain-bridge.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "retrain-bridge.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "retrain-bridge.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "retrain-bridge.selectorLabels" -}}
app.kubernetes.io/name: {{ include "retrain-bridge.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "retrain-bridge.labels" -}}
{{ include "retrain-bridge.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "retrain-bridge.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "retrain-bridge.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "retrain-bridge.image" -}}
{{- $name := .Values.image.repository -}}
{{- with .Values.image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "retrain-bridge.scheme" -}}
{{- if .Values.web.tls }}https{{ else }}http{{ end -}}
{{- end -}}

{{- define "retrain-bridge.externalUrl" -}}
{{- if .Values.web.externalUrl -}}
{{- .Values.web.externalUrl -}}
{{- else -}}
{{- printf "%s://%s.%s.svc:%v" (include "retrain-bridge.scheme" .) (include "retrain-bridge.fullname" .) .Release.Namespace .Values.service.port -}}
{{- end -}}
{{- end -}}

{{- define "retrain-bridge.allowedHosts" -}}
{{- $name := include "retrain-bridge.fullname" . -}}
{{- $hosts := list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.cluster.local" $name .Release.Namespace) -}}
{{- if .Values.ingress.enabled -}}
{{- range .Values.ingress.hosts }}{{ $hosts = append $hosts .host }}{{ end -}}
{{- end -}}
{{- concat $hosts .Values.web.allowedHosts | uniq | toJson -}}
{{- end -}}

{{- /* Whether the bridge is ready. With users every path requires a password, which only the command line can send. */ -}}
{{- define "retrain-bridge.ready" -}}
{{- if .Values.web.existingSecret -}}
exec:
  command:
  - retrain-bridge
  - healthcheck
  - --bridge.url={{ include "retrain-bridge.scheme" . }}://127.0.0.1:9095
  - --http.config.file=/etc/retrain-bridge/web/client.yml
{{- else -}}
httpGet: {path: /-/ready, port: http}
{{- end -}}
{{- end -}}
