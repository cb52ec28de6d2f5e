package trial

import (
	"slices"

	"github.com/onsi/ginkgo/v2"

	"github.com/plexlab-dev/plexlab/harness/peer"
	"github.com/plexlab-dev/plexlab/nodes/contract"
)

// Tell says a list and returns what the stack under test answers, in order: every service and
// connection, and at last END_OF_LIST. What is not in it was not answered: END_OF_LIST says that
// all has been told (I20).
func (p *Partner) Tell(dvipas ...contract.DVIPA) []contract.Message {
	ginkgo.GinkgoHelper()
	return p.TellAll(contract.VIPAList{DVIPAs: dvipas})
}

// TellAll is Tell of a whole list.
func (p *Partner) TellAll(list contract.VIPAList) []contract.Message {
	ginkgo.GinkgoHelper()
	p.Passed()
	before := len(p.Messages())
	p.Say(list)
	p.ExpectMessage(peer.Of[contract.EndOfList]("END_OF_LIST", nil))
	var answers []contract.Message
	for _, entry := range p.Messages()[before:] {
		answers = append(answers, entry.Message)
		if _, end := entry.Message.(contract.EndOfList); end {
			break
		}
	}
	return answers
}

// Told are the messages of one kind among several, in their order.
func Told[M contract.Message](messages []contract.Message) []M {
	var told []M
	for _, m := range messages {
		if of, ok := m.(M); ok {
			told = append(told, of)
		}
	}
	return told
}

// Services are the ends of listening sockets that SRVSTAT messages tell began, in order.
func Services(messages []contract.Message) []string {
	var services []string
	for _, m := range Told[contract.SRVSTAT](messages) {
		if m.Listening {
			services = append(services, m.Service.String())
		}
	}
	slices.Sort(services)
	return services
}
