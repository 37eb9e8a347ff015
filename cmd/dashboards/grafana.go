package main

import (
	"strconv"
	"strings"
)

// The part of Grafana's dashboard model that these dashboards use:
// https://grafana.com/docs/grafana/latest/visualizations/dashboards/build-dashboards/view-dashboard-json-model/
type (
	object = map[string]any
	list   = []any
)

// schemaVersion is the newest version of the model (Grafana 12 and later).
const schemaVersion = 42

// source is the Prometheus selected at the top of a dashboard.
var source = object{"type": "prometheus", "uid": "${datasource}"}

// query is a query of a panel. The labels of the dashboard's pods replace @ in expr.
type query struct {
	expr string
	// legend names the series, with labels as {{label}}.
	legend string
	// instant queries only the newest value.
	instant bool
	// exemplars shows single requests with links to their traces.
	exemplars bool
	heatmap   bool
}

func (q query) model(id int, labels string) object {
	model := object{
		"refId": "ABCDEF"[id : id+1], "datasource": source,
		"expr": strings.ReplaceAll(q.expr, "@", labels), "legendFormat": q.legend,
		"editorMode": "code", "range": !q.instant, "instant": q.instant, "exemplar": q.exemplars,
	}
	if q.heatmap {
		model["format"] = "heatmap"
	}
	return model
}

// panel is a panel of a dashboard, width of 24 columns wide.
type panel struct {
	title, description string
	kind               string
	width              int
	unit               string
	queries            []query
	defaults           object // fieldConfig.defaults
	options            object
}

// wide is the width of a panel with three in a row.
const wide = 8

// height is the height of every panel except row titles.
const height = 8

// series returns a panel with lines over time. unit is one of Grafana's.
func series(title, unit, description string, queries ...query) panel {
	return panel{
		title: title, description: description, kind: "timeseries", width: wide, unit: unit, queries: queries,
		defaults: object{"min": 0, "custom": object{"fillOpacity": 10, "lineWidth": 1, "showPoints": "never"}},
		options: object{
			"legend":  object{"displayMode": "list", "placement": "bottom", "showLegend": true},
			"tooltip": object{"mode": "multi", "sort": "desc"},
		},
	}
}

// stacked returns a panel with lines that add up.
func stacked(title, unit, description string, queries ...query) panel {
	p := series(title, unit, description, queries...)
	p.defaults["custom"] = object{"fillOpacity": 30, "lineWidth": 1, "showPoints": "never", "stacking": object{"mode": "normal", "group": "A"}}
	return p
}

// number returns a panel with the newest value. Each step is a colour and the value at which
// it starts; the first step's value is ignored.
func number(title, unit, description string, q query, steps ...step) panel {
	q.instant = true
	p := panel{
		title: title, description: description, kind: "stat", width: 6, unit: unit, queries: []query{q},
		defaults: object{}, options: object{
			"colorMode": "value", "graphMode": "none", "textMode": "value_and_name",
			"reduceOptions": object{"calcs": list{"lastNotNull"}, "fields": "", "values": false},
		},
	}
	if len(steps) > 0 {
		p.defaults["thresholds"] = thresholds(steps)
		p.defaults["color"] = object{"mode": "thresholds"}
	}
	return p
}

type step struct {
	from  float64
	color string
}

func thresholds(steps []step) object {
	all := list{}
	for i, s := range steps {
		var from any = s.from
		if i == 0 {
			from = nil
		}
		all = append(all, object{"color": s.color, "value": from})
	}
	return object{"mode": "absolute", "steps": all}
}

// states returns a panel with states over time: the texts and colours of the values 0, 1, ….
func states(title, description string, q query, all ...state) panel {
	mapping := object{}
	for value, s := range all {
		mapping[strconv.Itoa(value)] = object{"index": value, "text": s.text, "color": s.color}
	}
	return panel{
		title: title, description: description, kind: "state-timeline", width: wide, queries: []query{q},
		defaults: object{
			"mappings": list{object{"type": "value", "options": mapping}},
			"custom":   object{"fillOpacity": 70, "lineWidth": 0},
		},
		options: object{
			"mergeValues": true, "showValue": "auto", "rowHeight": 0.8,
			"legend": object{"displayMode": "list", "placement": "bottom", "showLegend": true},
		},
	}
}

type state struct{ text, color string }

// buckets returns a heatmap of a histogram over time.
func buckets(title, unit, description string, q query) panel {
	q.heatmap, q.legend = true, "{{le}}"
	return panel{
		title: title, description: description, kind: "heatmap", width: wide, queries: []query{q}, defaults: object{},
		options: object{
			"calculate": false, "yAxis": object{"unit": unit}, "cellGap": 1,
			"color":     object{"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5},
			"exemplars": object{"color": "rgba(31, 120, 193, 0.9)"}, "filterValues": object{"le": 1e-9},
			"legend": object{"show": true}, "tooltip": object{"mode": "single", "yHistogram": false},
		},
	}
}

// row is a title with panels below it.
type row struct {
	title  string
	panels []panel
}

// dashboard is a whole dashboard.
type dashboard struct {
	uid, title, description string
	// jobs are the dashboard's services.
	jobs []string
	// constants are available in queries and descriptions as $name.
	constants []constant
	rows      []row
}

type constant struct{ name, value string }

// labels returns the label matchers for the dashboard's pods.
func (d dashboard) labels() string {
	return d.jobLabel() + `, namespace=~"$namespace", pod=~"$pod"`
}

func (d dashboard) jobLabel() string {
	if len(d.jobs) == 1 {
		return `job="` + d.jobs[0] + `"`
	}
	return `job=~"` + strings.Join(d.jobs, "|") + `"`
}

// model returns the dashboard in Grafana's JSON model.
func (d dashboard) model() object {
	return object{
		"uid": d.uid, "title": d.title, "description": d.description, "tags": list{"microservices"},
		"schemaVersion": schemaVersion, "editable": false, "graphTooltip": 1, // one crosshair for all panels
		"time": object{"from": "now-1h", "to": "now"}, "refresh": "30s", "timezone": "browser",
		"links": list{object{
			"title": "Services", "type": "dashboards", "tags": list{"microservices"}, "asDropdown": false,
			"keepTime": true, "includeVars": true,
		}},
		"templating":  object{"list": d.variables()},
		"annotations": object{"list": list{d.starts()}},
		"panels":      d.panels(),
	}
}

// panels places the rows' panels from left to right and from top to bottom.
func (d dashboard) panels() list {
	all := list{}
	y := 0
	for _, r := range d.rows {
		all = append(all, object{
			"id": len(all) + 1, "type": "row", "title": r.title, "collapsed": false, "panels": list{},
			"gridPos": object{"x": 0, "y": y, "w": 24, "h": 1},
		})
		y++
		x := 0
		for _, p := range r.panels {
			if x+p.width > 24 {
				x, y = 0, y+height
			}
			all = append(all, p.model(len(all)+1, x, y, d.labels()))
			x += p.width
		}
		y += height
	}
	return all
}

func (p panel) model(id, x, y int, labels string) object {
	targets := list{}
	for i, q := range p.queries {
		targets = append(targets, q.model(i, labels))
	}
	if p.unit != "" {
		p.defaults["unit"] = p.unit
	}
	return object{
		"id": id, "type": p.kind, "title": p.title, "description": p.description, "datasource": source,
		"gridPos": object{"x": x, "y": y, "w": p.width, "h": height},
		"targets": targets, "options": p.options,
		"fieldConfig": object{"defaults": p.defaults, "overrides": list{}},
	}
}

// variables returns the selectors at the top: data source, namespace and others.
func (d dashboard) variables() list {
	choice := func(name, label, query string) object {
		return object{
			"name": name, "label": label, "type": "query", "datasource": source,
			"query": object{"query": query, "refId": name}, "definition": query,
			"refresh": 2, "sort": 1, // refresh when the time range changes; sort alphabetically
			// "All" also matches series without the label, which not every Prometheus has.
			"multi": true, "includeAll": true, "allValue": ".*",
			"current": object{"text": list{"All"}, "value": list{"$__all"}},
		}
	}
	all := list{
		object{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "regex": "", "multi": false, "includeAll": false},
		choice("namespace", "Namespace", `label_values(build_info{`+d.jobLabel()+`}, namespace)`),
		choice("pod", "Pod", `label_values(build_info{`+d.jobLabel()+`, namespace=~"$namespace"}, pod)`),
	}
	for _, c := range d.constants {
		all = append(all, object{"name": c.name, "query": c.value, "type": "constant", "hide": 2, "skipUrlSync": true})
	}
	return all
}

// starts returns annotations at process starts: a deployment, or a crash.
func (d dashboard) starts() object {
	return object{
		"name": "Starts", "enable": true, "iconColor": "blue", "datasource": source,
		"expr":        strings.ReplaceAll(`process_start_time_seconds{@} * 1000`, "@", d.labels()),
		"titleFormat": "{{job}} started", "textFormat": "{{pod}}", "useValueForTime": true, "step": "30s",
	}
}
