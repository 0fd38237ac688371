import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.ExecutionException;

/**
 * Kafka's own clients as a service: one request per line on standard input, its answer on standard
 * output.
 *
 * Request: a line of JSON; if it has "bytes": N, then N bytes follow. Answer: any number of
 * {"chunk": N} lines, each followed by N bytes, then one {"ok": ...} or {"error": "..."} line. The
 * end of the input ends the process.
 */
public final class Sidecar {
    static final ObjectMapper JSON = new ObjectMapper();

    private final DataInputStream in = new DataInputStream(new BufferedInputStream(System.in));
    private final OutputStream out;
    private final Administration administration;
    private final Records records;

    private Sidecar(String bootstrap, OutputStream out) {
        this.out = out;
        this.administration = new Administration(bootstrap);
        this.records = new Records();
    }

    public static void main(String[] arguments) throws Exception {
        OutputStream out = System.out;
        // Whatever logs must not come between the answers.
        System.setOut(System.err);
        new Sidecar(arguments[0], out).serve();
        System.exit(0);
    }

    private void serve() throws IOException {
        for (String line = readLine(); line != null; line = readLine()) {
            JsonNode request = JSON.readTree(line);
            byte[] bytes = new byte[request.path("bytes").asInt(0)];
            in.readFully(bytes);
            ObjectNode answer = JSON.createObjectNode();
            try {
                JsonNode ok = records.answer(request, bytes, this::writeChunk);
                answer.set("ok", ok != null ? ok : administration.answer(request));
            } catch (ExecutionException e) {
                answer.put("error", String.valueOf(e.getCause()));
            } catch (Exception e) {
                answer.put("error", String.valueOf(e));
            }
            writeLine(answer);
        }
    }

    private String readLine() throws IOException {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        for (int next = in.read(); next >= 0; next = in.read()) {
            if (next == '\n') {
                return line.toString(StandardCharsets.UTF_8);
            }
            line.write(next);
        }
        return null;
    }

    private void writeChunk(ByteArrayOutputStream chunk) throws IOException {
        writeLine(JSON.createObjectNode().put("chunk", chunk.size()));
        chunk.writeTo(out);
        chunk.reset();
    }

    private void writeLine(ObjectNode line) throws IOException {
        out.write((JSON.writeValueAsString(line) + "\n").getBytes(StandardCharsets.UTF_8));
        out.flush();
    }
}
