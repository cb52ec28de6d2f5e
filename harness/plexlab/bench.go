package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/plexlab-dev/plexlab/harness/bench"
	"github.com/plexlab-dev/plexlab/harness/plexlab/netstat"
)

// newBench runs the benchmarks; make bench is how a person calls it.
func newBench(io streams) *cobra.Command {
	var (
		manifest string
		output   string
		rounds   int
		sample   time.Duration
		kills    int
	)
	command := &cobra.Command{
		Use: "bench [PART]", Short: "Measure what stacks and laboratories can do", Hidden: true,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, part := range bench.Parts() {
				names = append(names, cobra.CompletionWithDesc(part.Name, part.About))
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if rounds < 1 || sample <= 0 || kills < 1 {
				return usagef("--rounds, --sample and --kills must be above zero")
			}
			implementation, err := readManifest(manifest)
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find the program itself: %w", err)
			}
			part := ""
			if len(args) == 1 {
				part = args[0]
			}
			told := newProgress(io.err, false)
			results, err := bench.Run(cmd.Context(), bench.Config{
				Implementation: implementation, Executable: self, Rounds: rounds, Sample: sample, Kills: kills, Progress: told.step,
			}, part)
			told.clear()
			if len(results.Rows()) == 0 {
				return err
			}
			return errors.Join(err, printResults(io.out, results, output))
		},
	}
	flags := command.Flags()
	flags.StringVarP(&manifest, "implementation", "i", "", "`MANIFEST` of the implementation")
	flags.StringVarP(&output, "output", "o", "", "file for the numbers, one flat JSON object")
	flags.IntVar(&rounds, "rounds", 7, "how often everything is measured")
	flags.DurationVar(&sample, "sample", 1500*time.Millisecond, "how long a measurement of a rate runs")
	flags.IntVar(&kills, "kills", 10_000, "how many processes are killed inside updates of the port file")
	return command
}

// printResults prints the numbers with their goals and writes them to a file, if one is named.
func printResults(to *os.File, results *bench.Results, file string) error {
	t := table.NewWriter()
	t.SetStyle(netstat.Style)
	t.AppendHeader(table.Row{"Benchmark", "Value", "Unit", "Goal", ""})
	t.SetColumnConfigs([]table.ColumnConfig{{Name: "Value", Align: text.AlignRight, AlignHeader: text.AlignRight}})
	for _, row := range results.Rows() {
		goal, verdict := "", ""
		if row.Goal != nil {
			goal, verdict = row.Goal.String(), "reached"
			if !row.Goal.Reached(row.Value) {
				verdict = "MISSED"
			}
		}
		t.AppendRow(table.Row{row.Key, fmt.Sprintf("%.3f", row.Value), row.Unit, goal, verdict})
	}
	if err := printTable(to, t); err != nil {
		return err
	}
	if file == "" {
		return nil
	}
	numbers, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, append(numbers, '\n'), 0o644)
}
