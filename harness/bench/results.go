package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// Results are the numbers of a run, in the order in which they were measured.
type Results struct {
	rows []Row
}

// Row is one number.
type Row struct {
	// Key is dotted, part first ("lab.up_s.5"), but for "detection", which belongs to the part takeover; once
	// published it keeps its meaning.
	Key   string
	Value float64
	// Unit is for people ("1/s", "Gbit/s", "us", "ms", "s", "%"); empty for a ratio or a count.
	Unit string
	// Goal is nil where none is set.
	Goal *Goal
}

// Goal is what a number must reach: at least Limit, or at most where AtMost is set.
type Goal struct {
	Limit  float64
	AtMost bool
}

// Reached says whether value reaches the goal.
func (g Goal) Reached(value float64) bool {
	if g.AtMost {
		return value <= g.Limit
	}
	return value >= g.Limit
}

// String is the goal in words.
func (g Goal) String() string {
	if g.AtMost {
		return fmt.Sprintf("at most %g", g.Limit)
	}
	return fmt.Sprintf("at least %g", g.Limit)
}

// goals are what the project has promised, by key.
var goals = map[string]Goal{
	"distribute.connections.ratio_direct":  {Limit: 0.95},
	"distribute.connections.ratio_haproxy": {Limit: 1.4},
	"distribute.throughput.ratio_direct":   {Limit: 0.95},
	"lab.up_s.5":                           {Limit: 1, AtMost: true},
	"lab.up_s.32":                          {Limit: 5, AtMost: true},
	"lab.down_s.5":                         {Limit: 0.5, AtMost: true},
	"lab.down_s.32":                        {Limit: 0.5, AtMost: true},
	"listen.eligible_ms.p50":               {Limit: 10, AtMost: true},
	"listen.eligible_ms.max":               {Limit: 100, AtMost: true},
	"listen.withdrawn_ms.p50":              {Limit: 10, AtMost: true},
	"listen.withdrawn_ms.max":              {Limit: 100, AtMost: true},
	"listen.withdrawn_half_open_ms.max":    {Limit: 100, AtMost: true},
	"listen.withdrawn_shutdown_ms.max":     {Limit: 100, AtMost: true},
	"ports.bind_us.p50":                    {Limit: 150, AtMost: true},
	"ports.claims.ratio_bare_1":            {Limit: 0.5},
	"ports.claims.ratio_bare_8":            {Limit: 0.5},
	"takeover.death_gap_ms.p50":            {Limit: 30, AtMost: true},
	"takeover.silence_gap_ms.p50":          {Limit: 150, AtMost: true},
	"takeover.connections_lost":            {Limit: 0, AtMost: true},
	"detection.cpu_percent":                {Limit: 1, AtMost: true},
}

// add appends a number. A key that is there already, or a number that JSON cannot carry, is a
// mistake of the part that measures it.
func (r *Results) add(key string, value float64, unit string) {
	if slices.ContainsFunc(r.rows, func(row Row) bool { return row.Key == key }) {
		panic("benchmark result " + key + " added twice")
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		panic(fmt.Sprintf("benchmark result %s is %v", key, value))
	}
	row := Row{Key: key, Value: value, Unit: unit}
	if goal, ok := goals[key]; ok {
		row.Goal = &goal
	}
	r.rows = append(r.rows, row)
}

// Rows lists the numbers in the order in which they were measured.
func (r *Results) Rows() []Row { return slices.Clone(r.rows) }

// MarshalJSON makes one flat object of numbers, by key, rounded to six decimal places.
func (r *Results) MarshalJSON() ([]byte, error) {
	numbers := make(map[string]float64, len(r.rows))
	for _, row := range r.rows {
		numbers[row.Key] = math.Round(row.Value*1e6) / 1e6
	}
	return json.Marshal(numbers)
}
