{{- /* Labels that select: the same as zero-to-jupyterhub's, so that either chart can take over. (list $ component) */}}
{{- define "hub.selector" -}}
app: jupyterhub
release: {{ (index . 0).Release.Name }}
component: {{ index . 1 }}
{{- end }}

{{- define "hub.labels" -}}
{{ include "hub.selector" . }}
app.kubernetes.io/name: jupyterhub
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- /* Labels of an object, the chart's version among them: never of a pod, which an upgrade would restart. */}}
{{- define "hub.objectLabels" -}}
{{ include "hub.labels" . }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
{{- end }}

{{- /* name:tag of an image, quoted. (list image path-in-values) */}}
{{- define "hub.image" -}}
{{- $image := index . 0 -}}
{{- $name := required (printf "%s.name: no registry holds this project's images; name one that you built" (index . 1)) $image.name -}}
{{- if $image.tag }}{{ printf "%s:%s" $name (toString $image.tag) | quote }}{{ else }}{{ $name | quote }}{{ end }}
{{- end }}

{{- /* A variable of a map: a string, or {valueFrom: …}, or {value: …}. */}}
{{- define "hub.env" -}}
{{- range $name, $value := . }}
- name: {{ $name | quote }}
  {{- if kindIs "map" $value }}
  {{- omit $value "name" | toYaml | nindent 2 }}
  {{- else }}
  value: {{ $value | toString | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "hub.pullSecrets" -}}
{{- with . }}
imagePullSecrets:
  {{- range . }}
  {{- if kindIs "map" . }}
  - name: {{ .name | quote }}
  {{- else }}
  - name: {{ . | quote }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* 64 hexadecimal characters: what the Secret `hub` has under a key, else new ones. (list $ key) */}}
{{- define "hub.kept" -}}
{{- $root := index . 0 -}}
{{- $secret := lookup "v1" "Secret" $root.Release.Namespace "hub" | default dict -}}
{{- $old := get ($secret.data | default dict) (index . 1) -}}
{{- if $old }}{{ b64dec $old }}{{ else }}{{ printf "%s%s" (randAlphaNum 64) (randAlphaNum 64) | sha256sum }}{{ end }}
{{- end }}
