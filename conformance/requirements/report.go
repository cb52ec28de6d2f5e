package requirements

import "github.com/plexlab-dev/plexlab/harness/report"

// Catalogue is All in the form that report.WriteCatalogue takes.
func Catalogue() []report.Requirement {
	var catalogue []report.Requirement
	for _, r := range All() {
		catalogue = append(catalogue, report.Requirement{
			ID: r.ID, Label: Label(r.ID), Kind: string(r.Kind), Figure: r.Figure, Blocks: Implied(r.ID),
			Capability: string(r.Capability), Text: r.Text, Citation: r.Citation, Observable: string(r.Observable),
			Status: string(r.Status), Reason: r.Reason, Later: r.Later,
		})
	}
	return catalogue
}
