{{- /* Container of the sidecar: (list $ method); LIST = once, before the bridge starts, WATCH = beside it. */ -}}
{{- define "retrain-bridge.sidecar" -}}
{{- $root := index . 0 -}}
image: {{ $root.Values.rulesSidecar.image }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
env:
- {name: METHOD, value: {{ index . 1 }}}
- {name: LABEL, value: {{ $root.Values.rulesSidecar.label | quote }}}
- {name: LABEL_VALUE, value: {{ $root.Values.rulesSidecar.labelValue | quote }}}
- {name: FOLDER, value: /etc/retrain-bridge/sidecar}
- {name: RESOURCE, value: configmap}
- {name: UNIQUE_FILENAMES, value: "true"}
- {name: NAMESPACE, value: {{ default $root.Release.Namespace $root.Values.rulesSidecar.searchNamespace | quote }}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{- toYaml $root.Values.rulesSidecar.resources | nindent 2 }}
volumeMounts:
- {name: sidecar, mountPath: /etc/retrain-bridge/sidecar}
- {name: tmp, mountPath: /tmp}
{{- end -}}
