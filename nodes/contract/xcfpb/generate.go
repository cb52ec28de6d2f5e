// Package xcfpb is generated from xcf.proto, the schema of the XCF messages; package
// contract is what to use. The generator is the one of the pinned protobuf module, the
// compiler protoc 3.21.12 (Debian's protobuf-compiler).
package xcfpb

//go:generate go build -o protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go
//go:generate protoc --plugin=./protoc-gen-go -I../../.. --go_out=../../.. --go_opt=paths=source_relative nodes/contract/xcfpb/xcf.proto
//go:generate rm protoc-gen-go
