{{- define "pdshub.labels" -}}
app.kubernetes.io/name: pdshub
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* The namespace of surveyors. The installation's own lets privileged pods in, so it is none for them. */}}
{{- define "pdshub.surveyorNamespace" -}}
{{- $name := .Values.surveyor.namespace | default (printf "%s-surveyors" (.Release.Namespace | trimSuffix "-system" | trunc 53 | trimSuffix "-")) }}
{{- if eq $name .Release.Namespace }}
{{- fail (printf "surveyor.namespace: %s is the installation's own namespace, which lets privileged pods in: name another" $name) }}
{{- end }}
{{- $name }}
{{- end }}

{{- /* The namespace of drills: no hub's, and not the installation's own. */}}
{{- define "pdshub.drillNamespace" -}}
{{- $name := .Values.drill.namespace | default (printf "%s-drill" (.Release.Namespace | trimSuffix "-system" | trunc 57 | trimSuffix "-")) }}
{{- if has $name (list .Release.Namespace (include "pdshub.surveyorNamespace" .)) }}
{{- fail (printf "drill.namespace: %s has pods of its own: name another" $name) }}
{{- end }}
{{- $name }}
{{- end }}

{{- define "pdshub.selector" -}}
app.kubernetes.io/name: pdshub
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- /* Directories of the nodes that local sources may lie in, as JSON. The node plugin sees each at the same path, so
     none may hide what the plugin's own container needs, nor hold what the kubelet keeps of pods. */}}
{{- define "pdshub.localPrefixes" -}}
{{- $own := list (.Values.nodePlugin.kubeletDir | trimSuffix "/") "/bin" "/dev" "/etc" "/lib" "/lib64" "/opt/pdshub" "/proc" "/run/pdshub" "/run/secrets" "/sbin" "/sys" "/usr" }}
{{- $found := list }}
{{- range .Values.archive.allowedLocalPrefixes }}
{{- $path := trimSuffix "/" . }}
{{- range $own }}
{{- if or (hasPrefix (printf "%s/" .) (printf "%s/" $path)) (hasPrefix (printf "%s/" $path) .) }}
{{- fail (printf "archive.allowedLocalPrefixes: %s overlaps %s, which the node plugin needs: name the archive's own directory" $path .) }}
{{- end }}
{{- end }}
{{- $found = append $found $path }}
{{- end }}
{{- uniq $found | toJson }}
{{- end }}

{{- /* What nodes may mount. The name of before stands for servers whole, read as root: nobody has that by an upgrade. */}}
{{- define "pdshub.archive" -}}
{{- if hasKey .Values.archive "allowedServers" }}
{{- fail "archive.allowedServers is archive.allowed now, which names exports too: write archive.allowed: [{server: NAME, exports: [/PATH]}] instead, with runAs: [UID] where sources name who reads them (docs/install.md)" }}
{{- end }}
{{- toYaml .Values.archive }}
{{- end }}

{{- /* The image of all programs. There is none to fall back on: said here, not by a pod that can't be pulled. */}}
{{- define "pdshub.image" -}}
{{ required "image is empty: `./hack/images --push REGISTRY/PATH --values images.yaml` builds, pushes and writes it; then add --values images.yaml" .Values.image }}
{{- end }}

{{- /* The kubelet's question to the node plugin, which says how it is in a file every 5 s (node/report/heartbeat.py). */}}
{{- define "pdshub.healthy" -}}
f=/run/pdshub/health; cat $f; grep -q '^ok' $f && test -n "$(find $f -newermt '30 seconds ago')"
{{- end }}

{{- /* Of the NFS helper: the program runs while there are requests (node/source/nfs_helper.py), and ends a minute after. */}}
{{- define "pdshub.helper" -}}
d="$KUBELET_DIR/plugins/archive.pdshub.dev/helper"; mkdir -p "$d"; trap end=1 TERM INT; while [ -z "$end" ]; do touch "$d/alive"; set -- "$d"/*.json; if [ -e "$1" ]; then pdshub-node nfs-helper || { r=$?; [ "$end" ] || exit $r; }; else sleep 2; fi; done; exit 0
{{- end }}
