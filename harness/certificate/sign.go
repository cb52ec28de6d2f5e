package certificate

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	attestation "github.com/in-toto/attestation/go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// payloadType is that of in-toto statements.
const payloadType = "application/vnd.in-toto+json"

// seal makes the envelope of a certificate.
func seal(c *Certificate, manifest File, key *Key) ([]byte, error) {
	statement, err := c.statement(manifest)
	if err != nil {
		return nil, err
	}
	signer, err := dsse.NewEnvelopeSigner(key)
	if err != nil {
		return nil, err
	}
	envelope, err := signer.SignPayload(context.Background(), payloadType, statement)
	if err != nil {
		return nil, err
	}
	return encode(envelope)
}

// encode is the one form of an envelope as a file, so that no byte of it can be changed unseen.
func encode(envelope *dsse.Envelope) ([]byte, error) {
	text, err := json.MarshalIndent(envelope, "", "  ")
	return append(text, '\n'), err
}

// statement is the payload. The JSON form of protobuf has blanks by chance; here it has none.
func (c *Certificate) statement(manifest File) ([]byte, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	predicate := &structpb.Struct{}
	if err := protojson.Unmarshal(text, predicate); err != nil {
		return nil, err
	}
	statement := &attestation.Statement{
		Type: attestation.StatementTypeUri, PredicateType: PredicateType, Predicate: predicate,
	}
	for _, f := range append([]File{manifest, c.Program}, c.Files...) {
		statement.Subject = append(statement.Subject, &attestation.ResourceDescriptor{
			Name: f.Path, Digest: map[string]string{"sha256": f.SHA256},
		})
	}
	if err := statement.Validate(); err != nil {
		return nil, err
	}
	if text, err = protojson.Marshal(statement); err != nil {
		return nil, err
	}
	var compact bytes.Buffer
	err = json.Compact(&compact, text)
	return compact.Bytes(), err
}

// errKey: the envelope is well-formed and none of its signatures is of the key.
var errKey = errors.New("it is not signed with this key")

// open checks the signature of an envelope and returns what was signed, read and as it is. An envelope that names
// another key than the one given is errKey.
func open(text []byte, key *Key) (c *Certificate, payload []byte, err error) {
	var envelope dsse.Envelope
	if err := json.Unmarshal(text, &envelope); err != nil {
		return nil, nil, fmt.Errorf("read the envelope: %w", err)
	}
	if envelope.PayloadType != payloadType {
		return nil, nil, fmt.Errorf("the envelope holds %q, not an in-toto statement", envelope.PayloadType)
	}
	if len(envelope.Signatures) == 1 && envelope.Signatures[0].KeyID != key.ID() {
		return nil, nil, fmt.Errorf("the envelope is signed with key %.16s, not with %.16s of %s: %w",
			envelope.Signatures[0].KeyID, key.ID(), key.Path, errKey)
	}
	verifier, err := dsse.NewEnvelopeVerifier(key)
	if err != nil {
		return nil, nil, err
	}
	_, payload, err = verifier.VerifyAndDecode(context.Background(), &envelope)
	if err != nil {
		return nil, nil, fmt.Errorf("the signature does not fit: %w", err)
	}
	if len(envelope.Signatures) != 1 {
		return nil, nil, fmt.Errorf("the envelope has %d signatures, not one", len(envelope.Signatures))
	}
	again, err := encode(&envelope)
	if err != nil {
		return nil, nil, err
	}
	if !bytes.Equal(again, text) || !isCanonical(envelope.Payload) || !isCanonical(envelope.Signatures[0].Sig) {
		return nil, nil, errors.New("the envelope is not written as it was")
	}
	c, err = read(payload)
	return c, payload, err
}

// isCanonical: the text is the one that its bytes are encoded as. Decoders take other alphabets, line ends, and any bits that
// are left over.
func isCanonical(text string) bool {
	decoded, err := base64.StdEncoding.DecodeString(text)
	return err == nil && base64.StdEncoding.EncodeToString(decoded) == text
}

// stated is an error where the payload says more than the certificate that was read of it, or speaks of something else.
func (c *Certificate) stated(payload []byte) error {
	manifest, err := c.manifest()
	if err != nil {
		return err
	}
	text, err := c.statement(manifest)
	if err != nil || bytes.Equal(text, payload) {
		return err
	}
	var signed, follows struct{ Subject json.RawMessage }
	if err := errors.Join(json.Unmarshal(payload, &signed), json.Unmarshal(text, &follows)); err != nil {
		return err
	}
	if !bytes.Equal(signed.Subject, follows.Subject) {
		return fmt.Errorf("its subjects are %s, those of its predicate are %s", brief(signed.Subject), brief(follows.Subject))
	}
	return errors.New("the statement says what is no part of a certificate, or is written otherwise")
}

func read(payload []byte) (*Certificate, error) {
	statement := &attestation.Statement{}
	if err := protojson.Unmarshal(payload, statement); err != nil {
		return nil, fmt.Errorf("read the statement: %w", err)
	}
	if err := statement.Validate(); err != nil {
		return nil, fmt.Errorf("read the statement: %w", err)
	}
	if statement.GetPredicateType() != PredicateType {
		return nil, fmt.Errorf("the statement is of type %s, not %s", statement.GetPredicateType(), PredicateType)
	}
	text, err := protojson.Marshal(statement.GetPredicate())
	if err != nil {
		return nil, err
	}
	c := &Certificate{}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("read the predicate: %w", err)
	}
	return c, nil
}
