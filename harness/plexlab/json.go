package main

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"
)

// addJSON gives command the flag that has it answer a program.
func addJSON(command *cobra.Command, asJSON *bool) {
	command.Flags().BoolVar(asJSON, "json", false, "answer in JSON, for programs")
}

// printJSON answers a program.
func printJSON(to io.Writer, answer any) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	return encoder.Encode(answer)
}
